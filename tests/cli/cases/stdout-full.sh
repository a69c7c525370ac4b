gradcam --help > /dev/full
