"""One scene on several GPUs of one machine: a process a GPU, each with a replica of the splat."""
