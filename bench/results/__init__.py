"""What a run leaves on disk, how it is read, merged and compared. Free of torch."""
