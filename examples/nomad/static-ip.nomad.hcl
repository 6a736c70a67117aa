# An address of the node's network that is the task's own: services are registered under it. One at a
# time: no canaries and no second copy, for two cannot have it.
variable "image" {
  type    = string
  default = "registry.example.org/busybox:1.36"
}

variable "address" {
  type    = string
  default = "192.0.2.10/24"
}

job "static-ip" {
  type = "service"

  group "web" {
    count = 1

    network {
      port "http" { to = 8080 }
    }

    task "server" {
      driver = "pot"

      service {
        name         = "static-web"
        provider     = "nomad"
        port         = "http"
        address_mode = "auto"
      }

      config {
        image        = var.image
        network_mode = "alias"
        ip           = [var.address]
        ports        = ["http"]
        command      = "sh"
        args         = ["-c", "exec httpd -f -p ${split("/", var.address)[0]}:8080 -h /etc"]
      }

      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}
