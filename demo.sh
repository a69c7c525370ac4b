#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sets everything up on a fresh Debian machine and explains the bundled picture. Safe to run twice.
set -euo pipefail
cd "$(dirname "$0")"

./setup.sh
[ -f build/build.ninja ] || meson setup build -Dbuildtype=release
meson compile -C build

gradcam=build/src/cli/gradcam
echo
"$gradcam" explain models/emoji/emoji.onnx models/emoji/scene.png --target top:2 --output demo/
cat <<END

The pictures are demo/*.png: the heat lies on the thing each map explains. To go on:

  $gradcam explain models/emoji/emoji.onnx models/emoji/scene.png     the predicted class alone
  $gradcam explain MODEL.onnx PICTURE.jpg                             your own model
  $gradcam help explain                                               all options
END
