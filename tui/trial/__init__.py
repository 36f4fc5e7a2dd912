"""What trying a service is made of, without a screen: conversations, requests, measuring."""
