"""SmolLM2 in transformers + torch with the same weights: contender of bench, witness of tests."""

import numpy as np

from npattn.kernels.rotary_pairings import pairing_order


def smollm2_in_transformers(torch, weights, attention="eager"):
    """LlamaForCausalLM in float32 with the parameters of a LanguageWeights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config, params = weights.config, weights.params
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(
            vocab_size=config.vocabulary, hidden_size=config.width,
            intermediate_size=config.hidden, num_hidden_layers=config.num_blocks,
            num_attention_heads=config.num_heads, num_key_value_heads=config.num_kv_heads,
            max_position_embeddings=config.context, rms_norm_eps=config.eps,
            rope_parameters={"rope_type": "default", "rope_theta": config.rotary.base},
            tie_word_embeddings=True, attn_implementation=attention,
        ))
    model = model.to_empty(device="cpu")
    model.model.rotary_emb = type(model.model.rotary_emb)(model.config)  # its angles, on the CPU
    state = {"model.embed_tokens.weight": params.embedding, "lm_head.weight": params.embedding,
             "model.norm.weight": params.norm}
    for i, block in enumerate(params.blocks):
        at, a, n = f"model.layers.{i}.", block.attention, block.feed_forward
        halves = [pairing_order(config.head_width, "halves", num_heads=heads)
                  for heads in (config.num_heads, config.num_kv_heads)]
        state |= {
            f"{at}input_layernorm.weight": block.attention_norm,
            f"{at}post_attention_layernorm.weight": block.feed_forward_norm,
            f"{at}self_attn.q_proj.weight": a.query.W.T[halves[0]],
            f"{at}self_attn.k_proj.weight": a.key.W.T[halves[1]],
            f"{at}self_attn.v_proj.weight": a.value.W.T,
            f"{at}self_attn.o_proj.weight": a.output.W.T,
            f"{at}mlp.gate_proj.weight": n.gate.W.T, f"{at}mlp.up_proj.weight": n.hidden.W.T,
            f"{at}mlp.down_proj.weight": n.output.W.T,
        }
    tensors = {name: torch.from_numpy(np.ascontiguousarray(X)) for name, X in state.items()}
    model.load_state_dict(tensors, strict=True, assign=True)  # no copies
    model.tie_weights()
    return model.eval()
