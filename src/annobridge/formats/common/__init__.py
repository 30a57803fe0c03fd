"""What the formats of label files share: archives, items and shapes, images, masks, fidelity, reports."""
