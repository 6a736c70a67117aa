# A web server behind a port that Nomad chooses, on pot's public bridge.
# nomad job run -var image=HOST/NAME:TAG service.nomad.hcl
variable "image" {
  type    = string
  default = "registry.example.org/busybox:1.36"
}

job "service" {
  type = "service"

  group "web" {
    network {
      port "http" { to = 80 }
    }

    service {
      name     = "web"
      provider = "nomad"
      port     = "http"

      check {
        type     = "tcp"
        interval = "5s"
        timeout  = "2s"
      }
    }

    task "server" {
      driver = "pot"

      config {
        image   = var.image
        command = "httpd"
        args    = ["-f", "-p", "80", "-h", "/etc"]
        ports   = ["http"]
      }

      resources {
        cpu        = 100
        memory     = 32
        memory_max = 64
      }
    }
  }
}
