"""Published experiments as declarations: data, net, training, what to compare, what to draw."""
