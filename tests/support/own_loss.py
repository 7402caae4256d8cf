"""A last layer as users write it."""

from fastnn.layers import SoftmaxWithLoss


class OwnLoss:
    """The cross-entropy, by a layer that is none of the package's."""

    def forward(self, x, t):
        self._inner = SoftmaxWithLoss()
        self.loss = self._inner.forward(x, t)
        return self.loss

    def backward(self):
        return self._inner.backward()
