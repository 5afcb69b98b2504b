import pytest

from companion.training import models


@pytest.mark.parametrize(
    ("build", "parameters", "shape"),
    [
        (models.mnist_dense, 784 * 100 + 100 + 100 * 100 + 100 + 100 * 10 + 10, (None, 10)),
        (models.mnist_cnn, 80 + 1_168 + 40_100 + 1_010, (None, 10)),
        (models.gtsrb_v1, 4_841_083, (None, 43)),
        (lambda: models.gtsrb_v1((48, 48, 3)), 29_034_811, (None, 43)),
    ],
)
def test_the_networks_have_their_published_sizes(build, parameters, shape):
    model = build()
    assert model.count_params() == parameters
    assert model.output_shape == shape
