# One on each node, on the node's own network.
variable "image" {
  type    = string
  default = "registry.example.org/busybox:1.36"
}

job "system" {
  type = "system"

  group "agent" {
    task "watch" {
      driver = "pot"

      config {
        image           = var.image
        network_mode    = "host"
        readonly_rootfs = true
        tmpfs           = ["/tmp:size=16m"]
        command         = "sh"
        args            = ["-c", "while :; do cat /proc/loadavg; sleep 60; done"]
      }

      resources {
        cpu    = 50
        memory = 16
      }
    }
  }
}
