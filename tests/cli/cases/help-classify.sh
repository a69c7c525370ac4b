gradcam help classify
