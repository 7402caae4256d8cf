"""What networks say of themselves."""

from own_layers import Scale
from small_networks import C, D, convolutional

from fastnn import MultiLayerNet, Network
from fastnn.layers import Affine, BatchNormalization, Convolution, Dropout, MaxPool


def test_summary():
    assert str(convolutional(input_size=(2, 6, 6)).summary()).splitlines() == [
        "layer                kind                                output        parameters",
        "Convolution1         Convolution(4, 3, stride=1, pad=1)  (N, 4, 6, 6)          76",
        "BatchNormalization1  BatchNormalization()                (N, 4, 6, 6)           8",
        "Relu1                Relu()                              (N, 4, 6, 6)           0",
        "MaxPool1             MaxPool(2, 2)                       (N, 4, 3, 3)           0",
        "Convolution2         Convolution(3, 2, stride=1, pad=0)  (N, 3, 2, 2)          51",
        "Tanh1                Tanh()                              (N, 3, 2, 2)           0",
        "Dropout1             Dropout(0.2)                        (N, 3, 2, 2)           0",
        "Affine1              Affine(5)                           (N, 5)                65",
        "Sigmoid1             Sigmoid()                           (N, 5)                 0",
        "Affine2              Affine(3)                           (N, 3)                18",
        "total                                                                         218",
    ]


def test_summary_without_sizes():
    lines = str(Network([Affine(4), Scale(4)]).summary()).splitlines()
    assert lines == [
        "layer    kind       output  parameters",
        "Affine1  Affine(4)  ?                ?",
        "Scale1   Scale()    ?                ?",
        "total                                ?",
    ]


def test_summary_of_the_books_network():
    summary = MultiLayerNet(784, [100], 10).summary()
    assert summary.total == 79_510
    assert summary.rows == [
        ("Affine1", "AffineRelu(100)", (100,), 78_500), ("Affine2", "Affine(10)", (10,), 1_010),
    ]  # fmt: skip


def test_summary_in_notebooks():
    html = Network({"<a>": Affine(1000), "b": Affine(C)}, input_size=D).summary()._repr_html_()
    assert "<td" in html and "&lt;a&gt;" in html and ">7,000<" in html


def test_repr():
    net = Network(
        [Convolution(2, (3, 2), pad=1), MaxPool(2, 2, stride=1), Dropout(0.25, inverted=True),
         BatchNormalization(per_pixel=True), Scale(1), Affine(C)], loss="mse", dtype="float64",
    )  # fmt: skip
    assert repr(net) == (
        "Network([Convolution(2, (3, 2), stride=1, pad=1), MaxPool(2, 2, stride=1), "
        "Dropout(0.25, inverted=True), BatchNormalization(per_pixel=True), Scale(), Affine(3)], "
        "loss='mean_squared_error', input_size=None, dtype=float64)"
    )
    assert repr(MultiLayerNet(D, [4], C)) == (
        "MultiLayerNet([AffineRelu(4), Affine(3)], loss='cross_entropy', input_size=6, "
        "dtype=float32)"
    )
