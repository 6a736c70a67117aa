# Two tasks on a bridge of their own, made for this allocation: they find each other by the names of
# the tasks, and nobody else is on it.
variable "image" {
  type    = string
  default = "registry.example.org/busybox:1.36"
}

job "group" {
  type = "service"

  group "pair" {
    network {
      port "http" { to = 80 }
    }

    task "backend" {
      driver = "pot"

      lifecycle {
        hook    = "prestart"
        sidecar = true
      }

      config {
        image        = var.image
        network_mode = "private-bridge"
        command      = "httpd"
        args         = ["-f", "-p", "8080", "-h", "/etc"]
      }

      resources {
        cpu    = 50
        memory = 32
      }
    }

    task "frontend" {
      driver = "pot"

      config {
        image        = var.image
        network_mode = "private-bridge"
        ports        = ["http"]
        command      = "sh"
        args = ["-c", <<-EOT
          mkdir -p /tmp/www
          until wget -q -O /tmp/www/index.html http://backend:8080/hostname; do sleep 1; done
          exec httpd -f -p 80 -h /tmp/www
        EOT
        ]
      }

      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}
