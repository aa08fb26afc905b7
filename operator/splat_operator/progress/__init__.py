"""The HTTPS endpoint that trainers report to, and who may."""
