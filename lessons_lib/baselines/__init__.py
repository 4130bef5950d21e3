"""Other ways to ask where a network looks: gradients at the pixels, hiding parts, guided backpropagation, attention."""

from lessons_lib.baselines.guided import guided_backprop, guided_gradcam
from lessons_lib.baselines.hiding import occlusion, rise
from lessons_lib.baselines.pixels import edges, input_x_gradient, integrated_gradients, smoothgrad
from lessons_lib.baselines.relevance import attention_relevance
from lessons_lib.baselines.rollout import attention_rollout

__all__ = [
    "attention_relevance",
    "attention_rollout",
    "edges",
    "guided_backprop",
    "guided_gradcam",
    "input_x_gradient",
    "integrated_gradients",
    "occlusion",
    "rise",
    "smoothgrad",
]
