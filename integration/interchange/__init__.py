"""Messages between our client and others on one broker: what each sends, what each sees, compared field by field."""
