gradcam help explain
