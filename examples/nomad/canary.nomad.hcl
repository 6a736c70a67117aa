# A new version beside the old one first: run it, change var.version, run it again, then
# nomad deployment promote.
variable "image" {
  type    = string
  default = "registry.example.org/busybox:1.36"
}

variable "version" {
  type    = string
  default = "1"
}

job "canary" {
  type = "service"

  update {
    max_parallel     = 1
    canary           = 1
    min_healthy_time = "2s"
    healthy_deadline = "1m"
    auto_revert      = true
  }

  group "web" {
    count = 2

    network {
      port "http" { to = 80 }
    }

    service {
      name     = "canary-web"
      provider = "nomad"
      port     = "http"

      check {
        type     = "tcp"
        interval = "2s"
        timeout  = "1s"
      }
    }

    task "server" {
      driver = "pot"

      env {
        VERSION = var.version
      }

      config {
        image   = var.image
        ports   = ["http"]
        command = "sh"
        args    = ["-c", "mkdir -p /tmp/www; echo $VERSION > /tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www"]
      }

      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}
