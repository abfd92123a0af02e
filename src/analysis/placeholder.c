int takt_analysis_placeholder; 
