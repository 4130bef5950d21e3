"""What a person gives, brought into one form or refused in one sentence."""
