from . import nn, ops
from .autograd import Parameter, Tensor
from .ops import *
