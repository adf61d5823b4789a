"""The sandbox below its two services: state, CSV folders, server, faults, commands."""
