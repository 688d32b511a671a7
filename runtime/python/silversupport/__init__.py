"""What an app may ask of the node it runs on; `silver serve` has the same."""
