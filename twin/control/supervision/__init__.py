"""What the platform believes of fleet, stations and network, from readings alone."""
