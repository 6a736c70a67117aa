# An agent with pots: nomad agent -config agent.hcl. The plugin's file must stand in plugin_dir under the name of
# the plugin block.
data_dir   = "/var/lib/nomad"
plugin_dir = "/usr/local/libexec/pot/nomad"

server {
  enabled          = true
  bootstrap_expect = 1
}

client {
  enabled = true

  host_volume "data" {
    path = "/srv/data"
  }
}

plugin "nomad-pot-driver" {
  config {
    # All of it may be left out; these are the usual values, except where a comment says so.
    enabled              = true
    log_level            = "debug"
    image_pull_timeout   = "5m"
    default_network_mode = "public-bridge"
    allow_privileged     = false
    allow_network_modes  = ["host", "none", "public-bridge", "private-bridge", "alias"]
    keep_failed          = false

    # Not set otherwise: every capability may be asked for.
    allow_caps = ["chown", "net_bind_service", "net_raw"]

    volumes {
      enabled = true
    }

    gc {
      image       = true
      image_delay = "3m"

      dangling_pots {
        enabled        = true
        period         = "5m"
        creation_grace = "5m"
      }
    }
  }
}

telemetry {
  publish_allocation_metrics = true
  collection_interval        = "1s"
}
