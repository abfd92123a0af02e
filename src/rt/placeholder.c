int takt_rt_placeholder;
