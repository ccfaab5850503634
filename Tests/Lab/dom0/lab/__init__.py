"""What scenarios are written with. It runs in dom0; `devices` is the runner's too."""
