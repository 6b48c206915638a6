"""TeleGym."""
