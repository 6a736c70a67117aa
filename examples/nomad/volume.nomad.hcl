# Data that outlives the allocation, on a host volume of the node:
# client { host_volume "data" { path = "/srv/data" } } in the agent's configuration.
variable "image" {
  type    = string
  default = "registry.example.org/busybox:1.36"
}

job "volume" {
  type = "service"

  group "store" {
    volume "data" {
      type   = "host"
      source = "data"
    }

    task "writer" {
      driver = "pot"

      volume_mount {
        volume      = "data"
        destination = "/data"
      }

      config {
        image        = var.image
        network_mode = "none"
        volumes      = ["local/:/scratch", "../alloc/data:/shared:ro"]
        command      = "sh"
        args         = ["-c", "date >> /data/starts; cat /data/starts; exec sleep 100000"]
      }

      resources {
        cpu    = 50
        memory = 16
      }
    }
  }
}
