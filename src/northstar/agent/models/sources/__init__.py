"""Where models come from: HTTP and the hubs that speak it, S3-compatible stores, folders of this machine."""
