gradcam --version
