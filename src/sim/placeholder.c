int takt_sim_placeholder;
