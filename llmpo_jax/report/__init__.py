"""What people look at: sentences, tables and figures."""
