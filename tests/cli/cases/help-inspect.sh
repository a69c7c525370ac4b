gradcam help inspect
