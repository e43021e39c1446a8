"""What is made of run folders: tables, plots, the sheet of suspects. Nothing here imports TensorFlow."""
