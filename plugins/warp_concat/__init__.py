"""One decoder level of the IFRNet family: update the flow, warp both feature maps, concatenate."""
