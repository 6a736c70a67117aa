# A configuration file from a template; when it changes the task gets a signal.
variable "image" {
  type    = string
  default = "registry.example.org/busybox:1.36"
}

job "template" {
  type = "service"

  group "app" {
    task "server" {
      driver = "pot"

      template {
        data          = <<-EOT
          allocation = {{ env "NOMAD_ALLOC_ID" }}
          memory     = {{ env "NOMAD_MEMORY_LIMIT" }}
        EOT
        destination   = "local/app.conf"
        change_mode   = "signal"
        change_signal = "SIGHUP"
      }

      template {
        data        = "GREETING=hello"
        destination = "local/env"
        env         = true
      }

      config {
        image        = var.image
        network_mode = "none"
        command      = "sh"
        args = ["-c", <<-EOT
          trap 'cat /local/app.conf' HUP
          echo "$GREETING"
          cat "$NOMAD_TASK_DIR/app.conf"
          while :; do sleep 1; done
        EOT
        ]
      }

      resources {
        cpu    = 50
        memory = 16
      }
    }
  }
}
