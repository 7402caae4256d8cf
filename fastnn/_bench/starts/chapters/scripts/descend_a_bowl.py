"""Chapter 6: optimizers on a function of two numbers."""

from common.optimizer import SGD, AdaGrad, Adam, Momentum

for optimizer in (SGD(0.95), Momentum(0.1), AdaGrad(1.5), Adam(0.3)):
    params = {"x": -7.0, "y": 2.0}
    for _ in range(30):
        optimizer.update(params, {"x": params["x"] / 10.0, "y": 2.0 * params["y"]})
    print(params["x"], params["y"])
