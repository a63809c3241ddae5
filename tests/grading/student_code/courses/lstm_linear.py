import torch
import torch.nn as nn


class LSTMCell(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.forget_gate = nn.Linear(input_size + hidden_size, hidden_size)
        self.input_gate = nn.Linear(input_size + hidden_size, hidden_size)
        self.cell_gate = nn.Linear(input_size + hidden_size, hidden_size)
        self.output_gate = nn.Linear(input_size + hidden_size, hidden_size)

    def forward(self, x, state):
        h, c = state
        z = torch.cat([x, h], dim=1)
        f = torch.sigmoid(self.forget_gate(z))
        i = torch.sigmoid(self.input_gate(z))
        g = torch.tanh(self.cell_gate(z))
        o = torch.sigmoid(self.output_gate(z))
        c = f * c + i * g
        return o * torch.tanh(c), c
