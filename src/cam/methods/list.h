/* SPDX-License-Identifier: Apache-2.0 */
/* Every method, in the order of `gradcam methods`: ROW(symbol). */
ROW(gradcam)
ROW(hirescam)
ROW(elementwise)
ROW(gradcampp)
ROW(xgradcam)
ROW(layercam)
ROW(eigencam)
ROW(eigengradcam)
ROW(segeigencam)
ROW(kpcacam)
ROW(fem)
ROW(random)
