"""Which file holds which plane, as instruments and other programs wrote it beside their images: metadata, no pixels."""
