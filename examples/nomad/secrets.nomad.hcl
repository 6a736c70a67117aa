# A secret in /secrets, which is memory and never on a disk, read by a user who is not root.
variable "image" {
  type    = string
  default = "registry.example.org/busybox:1.36"
}

variable "password" {
  type    = string
  default = "change-me"
}

job "secrets" {
  type = "service"

  group "app" {
    task "server" {
      driver = "pot"
      user   = "1000:1000"

      template {
        data        = var.password
        destination = "secrets/password"
        perms       = "0444"
      }

      config {
        image        = var.image
        network_mode = "none"
        cap_drop     = ["all"]
        command      = "sh"
        args         = ["-c", "id -u; test -s \"$NOMAD_SECRETS_DIR/password\" && echo ready; exec sleep 100000"]
      }

      resources {
        cpu    = 50
        memory = 16
      }
    }
  }
}
