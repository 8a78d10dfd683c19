"""What happens if: worlds with other rules on the same luck, and what an answer hangs on."""
