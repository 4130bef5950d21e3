"""Other ways to ask where a network looks: guided backpropagation, attention rollout."""

from lessons_lib.baselines.guided import guided_backprop, guided_gradcam
from lessons_lib.baselines.rollout import attention_rollout

__all__ = ["attention_rollout", "guided_backprop", "guided_gradcam"]
