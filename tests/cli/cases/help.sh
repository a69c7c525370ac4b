gradcam --help
