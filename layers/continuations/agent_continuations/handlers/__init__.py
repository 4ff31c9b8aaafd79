"""What Lambda handlers share."""
