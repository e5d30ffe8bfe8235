"""What a simulated fleet is asked to do: traces, generated work, more of it, and all kinds together.

Traces become rows (`gentd26`, `llm_traces`, `templates`, `spot_series`, `gpu_prices`, `own_trace`), rows become jobs (`picture_jobs`, `chat_jobs`, `media_jobs`,
`own_jobs`), or a law makes them (`generated_pictures` by `picture_law`, `fitted`). Jobs are a stream in the order of their times, which `scaling`,
`mixing`, `regions` and `service_days` take and give.
"""
