"""What an environment costs a month: its synthesized templates, priced from a dated table of AWS's list prices."""
