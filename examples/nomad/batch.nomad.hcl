# Work that ends. A status other than 0 is tried again as the restart policy says.
variable "image" {
  type    = string
  default = "registry.example.org/busybox:1.36"
}

job "batch" {
  type = "batch"

  group "work" {
    restart {
      attempts = 1
      delay    = "1s"
      mode     = "fail"
    }

    task "count" {
      driver = "pot"

      config {
        image        = var.image
        network_mode = "none"
        command      = "sh"
        args         = ["-c", "seq 1 1000 | awk '{ s += $1 } END { print s }' | tee /alloc/data/sum"]
      }

      resources {
        cpu    = 100
        memory = 32
      }
    }
  }
}
