"""Validations that are made again and again (spec, "Success Validation"): what was found each time is kept, compared and drawn."""
