# The same work every five minutes, never twice at once.
variable "image" {
  type    = string
  default = "registry.example.org/busybox:1.36"
}

job "periodic" {
  type = "batch"

  periodic {
    crons            = ["*/5 * * * *"]
    prohibit_overlap = true
  }

  group "tick" {
    task "clock" {
      driver = "pot"

      config {
        image        = var.image
        network_mode = "none"
        command      = "date"
        args         = ["-u"]
      }

      resources {
        cpu    = 50
        memory = 16
      }
    }
  }
}
